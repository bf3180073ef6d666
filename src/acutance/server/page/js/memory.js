/** What the page remembers between visits: language and colours only. */

/** Return what was kept under a name, or null. */
export function remembered(name) {
  try {
    return localStorage.getItem(`acutance.${name}`);
  } catch {
    return null; // a browser may forbid it
  }
}

/** Keep a value under a name. */
export function remember(name, value) {
  try {
    localStorage.setItem(`acutance.${name}`, value);
  } catch {
    // then it is asked for again next time
  }
}
