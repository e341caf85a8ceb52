-- Which programs may use this file: those that know at least this migration. So a program can go back to a file that a newer
-- one has migrated already. docs/upgrades.md has the rules.
-- A migration that older programs can't live with raises it in its own transaction.
CREATE TABLE compatibility (
    one          INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    oldest_known INTEGER NOT NULL CHECK (oldest_known > 0)
) STRICT;

INSERT INTO compatibility (oldest_known) VALUES (1);
