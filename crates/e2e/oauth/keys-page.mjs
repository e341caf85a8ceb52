// What a person does on the page "API keys".
import assert from 'node:assert/strict';

const row = (page, name) => page.getByRole('row').filter({ has: page.getByText(name, { exact: true }) });

/** Waits until the list is there, empty or not. */
export async function listed(page) {
  await page.getByRole('button', { name: 'Add Token' }).waitFor();
}

/** Fills in the dialog, up to but without its last click. */
export async function prepare(page, name) {
  await page.getByRole('button', { name: 'Add Token' }).click();
  await page.getByLabel('Token name').fill(name);
}

/** The last click of the dialog, and all that follows. Gives the token's value. */
export async function finish(page, name) {
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  const value = await page.getByRole('textbox', { name: 'Token', exact: true }).innerText();
  assert.match(value, /^gk_b_[A-Za-z0-9]+$/);
  await page.getByRole('button', { name: 'Copy', exact: true }).click();
  await page.getByRole('button', { name: 'Close', exact: true }).click();
  await row(page, name).waitFor();
  return value;
}

export async function create(page, name) {
  await prepare(page, name);
  return finish(page, name);
}

export async function remove(page, name, { patience } = {}) {
  await page.getByRole('button', { name: `Delete token ${name}` }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await row(page, name).waitFor({ state: 'detached', timeout: patience });
}

/** The key of a token in the list: `gk_b_` and the public id. */
export function keyOf(page, name) {
  return row(page, name).locator('code').innerText();
}
