// What <farebox-voice> looks like. Nothing is inline and nothing is markup, so
// that it works under whatever policy a page confines itself to.

const css = `
:host {
  --ink: var(--farebox-ink, light-dark(#221c15, #f0e7d7)); --soft: var(--farebox-soft, light-dark(#5f5342, #bcae98));
  --ground: var(--farebox-ground, light-dark(#fffcf4, #241e18)); --line: var(--farebox-line, light-dark(#857760, #8f816b));
  --main: var(--farebox-accent, light-dark(#a63a12, #f08a5c)); --on-main: var(--farebox-on-accent, light-dark(#fffaf0, #1d130b));
  --round: var(--farebox-radius, .75rem);
  display: grid; gap: 1rem; align-content: start;
  box-sizing: border-box; max-width: 40rem; padding: 1rem; border: 1px solid var(--line); border-radius: var(--round); background: var(--ground); color: var(--ink);
  font: var(--farebox-font, 1rem/1.5 system-ui, sans-serif); overflow-wrap: anywhere;
}
:host([hidden]), :host([mode=speak]) .hear, :host([mode=hear]) .speak, p:empty { display: none; }
.speak, .hear { display: grid; gap: .5rem; justify-items: start; }
.row { display: flex; align-items: center; gap: .75rem; width: 100%; }
p { margin: 0; }
p + p { margin-top: .375rem; }
button, textarea { box-sizing: border-box; font: inherit; border: 1px solid var(--line); border-radius: calc(var(--round) / 2); padding: .5rem 1rem; }
button { min-height: 2.75rem; min-width: 6rem; font-weight: 600; cursor: pointer; background: var(--main); border-color: var(--main); color: var(--on-main); }
button[data-stop] { background: none; color: var(--main); }
button[aria-disabled=true] { background: none; border: 1px dashed var(--line); color: var(--soft); cursor: default; }
textarea { width: 100%; resize: vertical; background: none; color: inherit; }
label, .partial, .status { color: var(--soft); }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
.meter { flex: 1; height: .5rem; border-radius: 1rem; overflow: hidden; box-shadow: inset 0 0 0 1px var(--line); }
.level { height: 100%; background: var(--main); width: calc(100% * var(--level, 0)); transition: width .1s linear; }
.transcript { width: 100%; max-height: 14rem; overflow: auto; }
.transcript:not(:has(p:not(:empty))) { display: none; }
.partial { font-style: italic; }
.wave { width: 100%; height: 3rem; color: var(--main); border-color: var(--line); }
.error { padding-inline-start: .75rem; border-inline-start: 4px solid var(--main); }
@media (prefers-reduced-motion: reduce) { .level { transition: none; } }
@media (forced-colors: active) { .level { background: CanvasText; } button[aria-disabled=true] { color: GrayText; } }
`

/** @type {CSSStyleSheet | undefined} */
let sheet

/**
 * Makes an element, which is styled by its first part.
 * @param {string} tag
 * @param {string} part names of parts, or none
 * @param {Record<string, string>} [attributes]
 * @param {...Node} children
 * @returns {any}
 */
function make(tag, part, attributes = {}, ...children) {
  const element = document.createElement(tag)
  if (part) Object.assign(element, { className: part }).setAttribute('part', part)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/**
 * Puts everything into a shadow root.
 * @param {ShadowRoot} root
 */
export function furnish(root) {
  if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(css)
  root.adoptedStyleSheets = [sheet]
  const ui = {
    speak: make('button', 'button speak-button', { type: 'button' }),
    hear: make('button', 'button hear-button', { type: 'button' }),
    level: make('div', 'level'),
    meter: make('div', 'meter', { role: 'meter', 'aria-valuemin': '-60', 'aria-valuemax': '0' }),
    committed: make('div', 'committed'),
    partial: make('p', 'partial', { 'aria-live': 'off' }),
    transcript: make('div', 'transcript', { role: 'log', tabindex: '0' }),
    label: make('label', 'label', { for: 'text' }),
    text: make('textarea', 'text', { id: 'text', rows: '2', maxlength: '1000' }),
    wave: make('canvas', 'wave', { role: 'img' }),
    status: make('p', 'status', { role: 'status' }),
    problem: make('p', 'error', { role: 'alert' }),
  }
  ui.meter.append(ui.level)
  ui.transcript.append(ui.committed, ui.partial)
  root.append(
    make('div', 'speak', {}, make('div', 'row', {}, ui.speak, ui.meter), ui.transcript),
    make('div', 'hear', {}, ui.label, ui.text, make('div', 'row', {}, ui.hear, ui.wave)),
    ui.status, ui.problem)
  return ui
}

/** @param {string} text */
export const paragraph = (text) => make('p', 'passage', {}, document.createTextNode(text))
