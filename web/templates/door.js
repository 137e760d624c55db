"use strict";
document.querySelectorAll("form").forEach(function (form) {
  form.addEventListener("submit", function () {
    form.querySelectorAll("button[type=submit]").forEach(function (button) {
      if (button.dataset.busy) button.textContent = button.dataset.busy;
      setTimeout(function () { button.disabled = true; }, 0);
    });
  });
});
window.addEventListener("pageshow", function (event) { if (event.persisted) location.reload(); });
document.querySelectorAll("[data-reveal]").forEach(function (button) {
  var input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", function () {
    var shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.textContent = shown ? "Show" : "Hide";
    button.setAttribute("aria-pressed", String(!shown));
    input.focus();
  });
});
document.querySelectorAll("select[data-guess=timezone]").forEach(function (select) {
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (select.querySelector('option[value="' + CSS.escape(zone) + '"]')) select.value = zone;
  var currency = document.getElementById("currency"), chosen = false;
  function follow() {
    var usual = select.selectedOptions[0].dataset.along;
    if (!chosen && usual) currency.value = usual;
  }
  if (!currency) return;
  currency.addEventListener("change", function () { chosen = true; });
  select.addEventListener("change", follow);
  follow();
});
document.querySelectorAll("form[data-zone]").forEach(function (form) {
  var select = form.querySelector("select"), here = new URL(location.href);
  form.querySelector("button").hidden = true;
  function turn(zone) { here.searchParams.set("tz", zone); location.replace(here); }
  select.addEventListener("change", function () { turn(select.value); });
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!here.searchParams.get("tz") && zone !== select.value && select.querySelector('option[value="' + CSS.escape(zone) + '"]')) turn(zone);
});
document.querySelectorAll("[data-progress]").forEach(function (box) {
  var bar = box.querySelector("progress"), step = box.querySelector(".step"), failures = 0;
  function ask() {
    fetch(box.dataset.progress, { headers: { accept: "application/json" } })
      .then(function (answer) { return answer.json(); })
      .then(function (state) {
        failures = 0;
        if (state.done || state.failed) { location.replace(box.dataset.then); return; }
        bar.value = state.percent;
        step.textContent = state.step;
        setTimeout(ask, 400);
      })
      .catch(function () { failures += 1; if (failures < 20) setTimeout(ask, 1000); else location.reload(); });
  }
  ask();
});
document.querySelectorAll("form[data-at-once]").forEach(function (form) {
  var sent = false, signs = ["pointermove", "pointerdown", "touchstart", "keydown", "scroll"];
  function send() {
    var chosen = form.querySelector("input[name=score]:checked");
    if (sent || !chosen || document.visibilityState !== "visible") return;
    sent = true;
    signs.forEach(function (sign) { window.removeEventListener(sign, send); });
    fetch(form.action, { method: "POST", body: new URLSearchParams({ score: chosen.value, partial: "1" }), keepalive: true })
      .then(function (answer) { if (answer.ok) form.querySelector("[data-kept]").hidden = false; });
  }
  signs.forEach(function (sign) { window.addEventListener(sign, send, { passive: true }); });
  setTimeout(send, 4000);
});
