// Passwords that are long and yet among the first that anybody tries.

/** Why a password will not do; nothing when it will. Its length has been looked at before. */
export const weaknessOf = (password: string, email: string): string | undefined => {
  const plain = password.normalize('NFKC').toLowerCase()
  const letters = plain.replaceAll(/[^\p{L}\p{N}]/gu, '')
  const address = email.toLowerCase()
  if (plain.includes(address) || letters.includes(address.replaceAll(/[^\p{L}\p{N}]/gu, ''))) return 'must not be the e-mail address'
  if (new Set(plain).size < LEAST_DIFFERENT) return `must have ${LEAST_DIFFERENT} different characters or more`
  // What was tried first is written with blanks and signs in between, twice in a row, or with a number at its end.
  if (wordsOnly.test(letters) || isRun(letters)) return 'is among those that everybody tries first'
  return undefined
}

const LEAST_DIFFERENT = 5

const common = [
  'password',
  'passwort',
  'passwd',
  'motdepasse',
  'contrasena',
  'pass',
  'word',
  'p4ssw0rd',
  'p4ssword',
  'passw0rd',
  'changeme',
  'changethis',
  'letmein',
  'welcome',
  'willkommen',
  'bienvenue',
  'secret',
  'geheim',
  'admin',
  'administrator',
  'administrador',
  'root',
  'user',
  'test',
  'testing',
  'demo',
  'guest',
  'login',
  'master',
  'holdfast',
  'inventory',
  'warehouse',
  'iloveyou',
  'ichliebedich',
  'sunshine',
  'princess',
  'monkey',
  'dragon',
  'shadow',
  'football',
  'baseball',
  'basketball',
  'superman',
  'batman',
  'trustno1',
  'starwars',
  'whatever',
  'qwerty',
  'qwertz',
  'azerty',
  'qwertyuiop',
  'qwertzuiop',
  'azertyuiop',
  'asdfghjkl',
  'qsdfghjklm',
  'yxcvbnm',
  'zxcvbnm',
  'wxcvbn',
  'asdf',
  'qwer',
  'abc',
  'abcd',
  'abcdef',
  'abcdefg',
  'abc123',
  '1q2w3e4r',
  '1q2w3e4r5t',
  '1q2w3e4r5t6y',
  'q1w2e3r4t5y6',
  '1qaz2wsx',
  '1qaz2wsx3edc',
  'zaq12wsx',
  'qazwsx',
  'qazwsxedc',
  'correcthorsebatterystaple',
  'thequickbrownfox',
  'jumpsoverthelazydog',
  'tobeornottobe',
  'mynameis',
  'thisismypassword',
  'thisis',
  'my',
  'the',
  'is',
  'new',
  'company',
  'spring',
  'summer',
  'autumn',
  'winter',
]
/** Nothing but such words, and digits. */
const wordsOnly = new RegExp(`^(?:${common.toSorted((a, b) => b.length - a.length).join('|')}|\\p{N}+)+$`, 'u')

const rows = [
  '01234567890',
  '09876543210',
  'abcdefghijklmnopqrstuvwxyz',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  'azertyuiopqsdfghjklmwxcvbn',
]
/** A few letters again and again, or letters in the order of the alphabet or of a keyboard. */
const isRun = (letters: string): boolean => /^(.{1,5})\1+.{0,4}$/u.test(letters) || rows.some((row) => (row + row + row).includes(letters))
