/** The dialog for servers that ask who one is: an ID token, kept until the tab is closed. */

import { memory } from "./memory.js";
import { $ } from "./view.js";

/** signedIn() is called when a token was given. */
export function makeSigningIn(signedIn) {
  const dialog = $("signing-in");

  function ask() {
    if (dialog.open) return;
    $("token").value = "";
    dialog.showModal();
  }

  $("sign-in").addEventListener("click", ask);
  $("not-now").addEventListener("click", () => dialog.close());
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    memory.token = $("token").value.trim();
    dialog.close();
    signedIn();
  });

  return { ask };
}
