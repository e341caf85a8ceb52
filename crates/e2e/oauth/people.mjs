// Who can sign in at the test issuer, all with one password.

export const PASSWORD = 'a password of nobody';

export const PEOPLE = {
  dora: { tenant: 'acme', roles: ['developer'] },
  // As some platforms have them.
  boris: { tenant: 'acme', roles: [{ value: 'developer' }, { value: 'admin' }] },
  adam: { tenant: 'acme', roles: ['admin'] },
  nora: { tenant: 'acme', roles: [] },
  // Of another tenant.
  otto: { tenant: 'other', roles: ['developer'] },
  // Her token is longer than a cookie may be.
  lara: { tenant: 'acme', roles: ['developer'], groups: Array.from({ length: 150 }, (_, n) => `department-${n}-of-many`) },
};
