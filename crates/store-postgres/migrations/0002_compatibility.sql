-- Which programs may use this database: those that know at least this migration. So a program can go on, and be started
-- anew, while a newer one has migrated the database already. docs/upgrades.md has the rules.
-- A migration that older programs can't live with raises it in its own transaction.
CREATE TABLE compatibility (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    oldest_known bigint NOT NULL CHECK (oldest_known > 0)
);

INSERT INTO compatibility (oldest_known) VALUES (1);
