"use strict";
// A scanner is a keyboard. It is set to send F9 before and Enter after each code; between the two its keys are read here as
// physical keys, so that neither the focus nor an input method takes any of them, and without a clock, so that a slow page
// does not cut a code in two. Escape gives up.
(() => {
  const signs = {
    Minus: ["-", "_"], NumpadSubtract: ["-", "-"], Period: [".", ">"], NumpadDecimal: [".", "."], Slash: ["/", "?"],
    Semicolon: [";", ":"], Space: [" ", " "],
  };
  const box = document.getElementById("scanning");
  let read = null;
  const show = () => {
    if (!box) return;
    box.hidden = read === null;
    box.lastElementChild.textContent = read ?? "";
  };
  const sign = (event) => {
    const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
    const upper = event.shiftKey !== event.getModifierState("CapsLock");
    if (letter) return upper ? letter : letter.toLowerCase();
    const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1];
    if (digit) return event.shiftKey && event.code.startsWith("Digit") ? "?" : digit;
    return signs[event.code]?.[event.shiftKey ? 1 : 0];
  };
  // Where a code goes: into the field that has the focus if it is one for codes, else into the first of the page.
  const put = (code) => {
    const here = document.activeElement?.matches?.("input[data-scan]") ? document.activeElement : null;
    const field = here ?? document.querySelector("input[data-scan]");
    if (!field) return;
    field.value = code;
    const form = field.form;
    const empty = [...form.elements].find((one) => one.required && !one.value);
    if (empty) empty.focus();
    else if (field.dataset.scan === "send") form.requestSubmit();
    else field.focus();
  };
  addEventListener("keydown", (event) => {
    if (event.code === "F9") {
      read = "";
    } else if (read === null) {
      return;
    } else if (event.code === "Enter" || event.code === "NumpadEnter") {
      const code = read;
      read = null;
      if (code) put(code);
    } else if (event.code === "Escape") {
      read = null;
    } else if (!/^(Shift|Control|Alt|Meta|CapsLock)/.test(event.code)) {
      // A key that stands for nothing here is shown as such, and the code is refused with it.
      read += sign(event) ?? "\u{fffd}";
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    show();
  }, true);
})();
