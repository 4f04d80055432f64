/** The box where a message is written: grows with it, keeps it across a reload, and knows when Enter means "send". */

import { memory } from "./memory.js";
import { $ } from "./view.js";

/** send(text) is called with what was written; it is never blank. */
export function makeComposer(send) {
  const box = $("message");

  function set(text) {
    box.value = text;
    written();
  }

  function written() {
    memory.draft = box.value;
    if (CSS.supports("field-sizing", "content")) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + 2}px`;
  }

  function submit() {
    const text = box.value.replace(/^\s*\n/, "").trimEnd();
    if (text.trim()) send(text);
    else box.focus();
  }

  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  box.addEventListener("keydown", (event) => {
    // While an input method composes, Enter picks a word (229 is what Safari tells of that).
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  box.addEventListener("input", written);
  set(memory.draft);

  return {
    clear: () => set(""),
    /** Put `text` under what is there. */
    add: (text) => set([box.value, text].filter(Boolean).join("\n\n")),
    focus: () => box.focus(),
  };
}
