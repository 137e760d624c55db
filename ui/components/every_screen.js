const SIGNED = 'section[role="dialog"]'
const FIELDS = 'input:not([type="hidden"], [type="date"], [type="checkbox"], [type="radio"], [type="file"], [type="range"]), textarea, [data-field]'
const PARTS = '[role="spinbutton"]' // of a day: it keeps the Escape key for itself, so another field is better
const QUESTIONS = '[class*="_clash"]'
const BOXES = '[class*="st-key-logbox_"], .st-key-replybox'
const greeted = new WeakMap()
const asked = new WeakSet()
const listened = new WeakSet()
let answer = { query: null, first: "" }
let wanted = null
let last = null
let opener = null
let open = false
let here = ""
let moved = 0
let decimal = "."

const topmost = () => [...document.querySelectorAll(SIGNED)].pop()
const seen = (el) => el.getClientRects().length > 0
const nowhere = () => !document.activeElement || document.activeElement === document.body
const keyed = (el) => el.closest('[class*="st-key-"]')
const keyOf = (el) => [...(keyed(el)?.classList ?? [])].find((name) => name.startsWith("st-key-")) ?? ""
const bare = (key) => key.replace(/(_\d+)+$/, "")

export default function (component) {
  if (component.data.query !== null) answer = component.data
  if (component.data.decimal) decimal = component.data.decimal
  if (!window.rapportEveryScreen) {
    window.rapportEveryScreen = true
    here = window.location.pathname + window.location.search
    oneStepPerScreen()
    document.documentElement.addEventListener("keydown", oneScope)
    document.documentElement.addEventListener("keydown", leaveField, { capture: true })
    document.addEventListener("focusin", (event) => { remember(event.target); before(event.composedPath()[0]) })
    for (const kind of ["beforeinput", "paste"]) document.addEventListener(kind, withComma, true)
    new MutationObserver(changed).observe(document.body, { childList: true, subtree: true })
    changed()
  }
  searched()
}

// A browser that is not set to the reader's country drops the comma in a field of numbers without a word, and 1,5 becomes 15.
function withComma(event) {
  const field = event.composedPath()[0]
  if (decimal !== "," || field.type !== "number" || field.tagName !== "INPUT") return
  const text = (event.type === "paste" ? event.clipboardData?.getData("text") : event.data)?.trim()
  if (!text?.includes(",") || (event.type === "beforeinput" && event.inputType !== "insertText")) return
  const number = text.replace(/[.\s’']/g, "").replace(",", ".")
  if (!/^[-−+]?\d*\.\d*$/.test(number)) return // what is no number is left to the browser
  event.preventDefault()
  if (text === "," && field.value.includes(".")) field.select() // the points before it stood between thousands
  const before = text === "," && field.value.includes(".") ? field.value.replaceAll(".", "") : ""
  document.execCommand("insertText", false, before + number.replace("−", "-"))
}

// Labels are Markdown, and what names people gave keeps its letters by backslashes. They aren't drawn, but Streamlit gives them to screen readers.
function spoken() {
  for (const el of document.querySelectorAll('[aria-label*="\\\\"]')) {
    el.setAttribute("aria-label", el.getAttribute("aria-label").replace(/\\([!-/:-@[-`{-~])/g, "$1"))
  }
}

function changed() {
  spoken()
  const dialog = topmost()
  if (dialog) greet(dialog)
  for (const question of document.querySelectorAll(QUESTIONS)) ask(question)
  const now = window.location.pathname + window.location.search
  if (now !== here) {
    const left = now.split("?")[0] !== here.split("?")[0]
    here = now
    moved = performance.now()
    const menu = document.activeElement?.closest('[data-testid="stSidebarNav"]')
    if (left && menu) { document.activeElement.blur(); last = { el: document.createElement("i"), key: "", place: 0 } }
  }
  if (last && !dialog && !last.el.isConnected && nowhere()) recover()
  if (open && !dialog) for (const wait of [300, 1200]) setTimeout(giveBack, wait)
  open = Boolean(dialog)
}

// A dialog begins where one types: in its first field. What is drawn above it a moment later takes the cursor over, unless somebody has begun.
function greet(dialog) {
  listen(dialog)
  let state = greeted.get(dialog)
  if (!state) {
    greeted.set(dialog, state = { at: performance.now(), field: null, begun: false })
    for (const kind of ["keydown", "pointerdown"]) dialog.addEventListener(kind, () => { state.begun = true }, { once: true, capture: true })
  }
  if (state.begun || performance.now() - state.at > 3000) return
  const fields = [...dialog.querySelectorAll(FIELDS), ...dialog.querySelectorAll(PARTS)]
  const field = fields.find((one) => seen(one) && !one.disabled)
  if (!field || field === state.field) return
  state.field = field
  if (field.value !== "" && matchMedia("(pointer: coarse)").matches) return // keys on the glass would cover what is to be read
  field.focus()
}

// Escape closes a dialog without leaving the field in which one writes, and what was typed there would be told to nobody.
function leaveField(event) {
  if (event.key !== "Escape" || !event.target.closest?.(SIGNED)) return
  const field = event.target.matches('input:not([type="checkbox"], [type="radio"], [role="combobox"]), textarea') && !event.target.closest('[data-baseweb="popover"]')
  if (field) event.target.blur()
}

// What two people changed is asked below the button that was pressed, often below the edge of the dialog: it is brought into sight once, and the cursor,
// which that button had, to its first answer.
function ask(question) {
  if (asked.has(question)) return
  asked.add(question)
  setTimeout(() => {
    const box = question.getBoundingClientRect()
    if (box.top < 0 || box.bottom > window.innerHeight) question.scrollIntoView({ block: box.height > window.innerHeight ? "start" : "center" })
    if (nowhere() || document.activeElement.matches('[role="dialog"], [role="dialog"] [aria-label="Close"]')) question.querySelector('input[type="radio"]:checked, button')?.focus({ preventScroll: true })
  }, 300)
}

// A dialog gives the cursor back to what had it before, also where that was a card of a board, which is drawn anew meanwhile, or an entry of a menu,
// which is gone: then to the button of the menu.
const LAYERS = `${SIGNED}, [role="menu"], [role="listbox"], [data-baseweb="popover"], [data-baseweb="layer"], [data-testid="stToastContainer"]`

function before(el) {
  const host = el.getRootNode().host
  if (el === document.body || (host ?? el).closest(LAYERS)) return
  opener = { el, host, id: el.dataset.id, at: window.location.pathname }
}

function giveBack() {
  if (!opener || topmost() || !nowhere() || opener.at !== window.location.pathname) return
  const again = opener.host && opener.id ? opener.host.shadowRoot.querySelector(`[data-id="${CSS.escape(opener.id)}"]`) : opener.el
  if (again?.isConnected && seen(again) && again.matches('button, a, [tabindex]')) again.focus({ preventScroll: true })
}

// Two buttons may have the same key. It belongs to the dialog that is open, or to the box in which one writes; what lies behind stays as it is.
function oneScope(event) {
  const target = event.composedPath()[0]
  const writing = target.closest?.('input:not([type="checkbox"], [type="radio"]), textarea, select, [contenteditable="true"]')
  const held = event.ctrlKey || event.metaKey
  if (event.altKey || (event.key.length > 1 && event.key !== "Enter") || (!held && (writing || event.key === "Enter"))) return
  const dialog = topmost()
  const box = (target.getRootNode().host ?? target).closest?.(BOXES)
  const all = [...document.querySelectorAll("button:has(kbd)")].filter((button) => {
    const [sign, ...rest] = button.querySelector("kbd").textContent.split("+").reverse()
    return sign.trim().toLowerCase() === event.key.toLowerCase() && held === rest.length > 0 && seen(button)
  })
  const mine = all.filter((button) => {
    if (dialog) return dialog.contains(button)
    if (event.key !== "Enter") return true
    return box ? box.contains(button) : !writing || !button.closest(BOXES)
  })
  if (mine.length === all.length && mine.length < 2) return
  event.preventDefault()
  event.stopPropagation()
  if (mine.length && !mine[0].disabled) mine[0].click()
}

const alike = (where, el) => [...where.querySelectorAll(el.tagName)]

function remember(el) {
  if (el === document.body || el.closest('[data-testid="stToastContainer"]')) return
  const where = keyed(el)
  last = { el, key: keyOf(el), place: where ? alike(where, el).indexOf(el) : -1 }
}

// What had the cursor was drawn anew, or is gone because another screen is shown: the next press of the Tab key goes on from there.
function recover() {
  const twins = last.key ? [...document.querySelectorAll(`[class*="${bare(last.key)}"]`)].filter((one) => keyed(one) === one) : []
  const same = twins.find((one) => keyOf(one) === last.key)
  const drawnAnew = twins.filter((one) => bare(keyOf(one)) === bare(last.key))
  const twin = same ?? (drawnAnew.length === 1 ? drawnAnew[0] : undefined)
  const again = twin && alike(twin, last.el)[last.place]
  if (again && !again.disabled && seen(again)) { again.focus({ preventScroll: true }); return }
  if (!moved || performance.now() - moved > 10000) return
  const heading = document.querySelector('[data-testid="stMain"] h1')
  if (!heading || !seen(heading)) return
  heading.tabIndex = -1
  heading.style.outline = "none"
  heading.focus({ preventScroll: true })
}

// In the search Enter opens the first one found, as soon as what was typed has been answered; the arrows lead through the others.
function listen(dialog) {
  if (listened.has(dialog) || !dialog.querySelector(".st-key-search_all input")) return
  listened.add(dialog)
  answer = { query: null, first: "" }
  wanted = null
  dialog.addEventListener("keydown", (event) => {
    const field = dialog.querySelector(".st-key-search_all input")
    const found = [...dialog.querySelectorAll('[class*="st-key-hit_"] button')]
    const at = found.indexOf(document.activeElement)
    if (event.key === "Enter" && event.target === field && !event.isComposing) { wanted = field.value; searched() }
    else if (event.key === "ArrowDown" && (at >= 0 || event.target === field)) { event.preventDefault(); found[at + 1]?.focus() }
    else if (event.key === "ArrowUp" && at >= 0) { event.preventDefault(); (found[at - 1] ?? field).focus() }
  })
}

function searched() {
  if (wanted === null || answer.query !== wanted) return
  wanted = null
  if (answer.first) topmost()?.querySelector(`.st-key-${answer.first} button`)?.click()
}

// On its way to another screen Streamlit pushes the new parameters under the old address first. Nobody was ever there, so the second push takes
// that step's place: Back leads to the list as it was searched.
function oneStepPerScreen() {
  const push = window.history.pushState.bind(window.history)
  let before = { time: 0, path: null }
  window.history.pushState = (state, unused, address) => {
    const { pathname, search } = window.location
    const to = new URL(address ?? "", window.location.href)
    const passing = before.path === pathname && performance.now() - before.time < 3000
    if (passing && search && to.pathname !== pathname && to.search === search) window.history.replaceState(state, unused, address)
    else push(state, unused, address)
    before = { time: performance.now(), path: to.pathname === pathname ? pathname : null }
  }
}
