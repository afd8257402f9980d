"""The page's style sheet and script, inlined into it. What does not belong here: content."""

from __future__ import annotations

__all__ = ["SCRIPT", "STYLE"]

STYLE = """
:root { color-scheme: light; --ink: #1F2933; --soft: #52606D; --line: #D9DEE4; --blue: #00517F; --red: #B04A00; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 16px; }
body { margin: 0; color: var(--ink); background: #F4F6F8;
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
.page { display: grid; grid-template-columns: 250px minmax(0, 1fr); }
nav { position: sticky; top: 0; align-self: start; height: 100vh; overflow-y: auto; padding: 20px 16px;
  background: #FFFFFF; border-right: 1px solid var(--line); font-size: 13px; }
nav strong { display: block; margin-bottom: 10px; font-size: 14px; }
nav ol { list-style: none; margin: 0; padding: 0; }
nav ol ol { padding-left: 12px; }
nav a { display: block; padding: 2px 0; color: var(--soft); text-decoration: none; overflow-wrap: anywhere; }
nav a:hover, nav a:focus { color: var(--blue); text-decoration: underline; }
main { padding: 24px 32px 80px; max-width: 1360px; width: 100%; }
h1 { margin: 0 0 16px; font-size: 24px; }
section { background: #FFFFFF; border: 1px solid var(--line); border-radius: 8px; padding: 16px 22px 20px;
  margin-bottom: 20px; }
h2 { margin: 0 0 8px; font-size: 19px; }
h3 { margin: 28px 0 6px; padding-top: 12px; border-top: 1px solid var(--line); font-size: 16px;
  overflow-wrap: anywhere; }
h4 { margin: 16px 0 4px; font-size: 14px; }
p { margin: 6px 0; max-width: 95ch; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: 14px; }
.verdict { font-size: 21px; font-weight: 600; }
#verdict { border-left: 6px solid var(--blue); }
.scroll { overflow-x: auto; margin: 8px 0 12px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px 4px 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal; max-width: 14em; }
th:first-child, td:first-child, .words td { text-align: left; }
.words th { text-align: left; }
td.wide, .words td.wide { white-space: normal; min-width: 22em; }
.better { color: var(--blue); font-weight: 600; }
.worse { color: var(--red); font-weight: 600; }
.unclear { color: var(--soft); }
figure { margin: 10px 0; min-width: 0; }
figcaption { color: var(--soft); font-size: 13px; margin-bottom: 2px; }
.plot { width: 100%; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 8px 20px; }
.cards { display: flex; flex-wrap: wrap; gap: 8px; margin: 8px 0; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: 5px 12px; min-width: 110px; }
.card b { display: block; font-size: 17px; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 12px; }
/* What a run fills in stands before the line that announces it. */
#run > h2 ~ :not(.pending) ~ .pending { display: none; }
@media (max-width: 900px) {
  .page { display: block; }
  nav { height: auto; max-height: 40vh; z-index: 2; border-right: 0; border-bottom: 1px solid var(--line); }
  main { padding: 16px; }
}
@media print { nav { display: none; } .page { display: block; } section { break-inside: avoid-page; } }
"""

# Pictures are drawn when they come near the screen: fifty at once would keep the page blank for seconds.
SCRIPT = """
(function () {
  'use strict';
  var options = { responsive: true, displaylogo: false, showEditInChartStudio: false, plotlyServerURL: '',
    modeBarButtonsToRemove: ['select2d', 'lasso2d'] };
  function draw(element) {
    if (element.dataset.drawn) { return; }
    element.dataset.drawn = 'yes';
    var spec = JSON.parse(document.getElementById(element.id + '-data').textContent);
    window.Plotly.newPlot(element, spec.data, spec.layout, options);
  }
  var all = Array.prototype.slice.call(document.querySelectorAll('.plot'));
  if (!('IntersectionObserver' in window)) { all.forEach(draw); return; }
  var watch = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (entry.isIntersecting) { watch.unobserve(entry.target); draw(entry.target); }
    });
  }, { rootMargin: '900px 0px' });
  all.forEach(function (element) { watch.observe(element); });
  window.addEventListener('beforeprint', function () { all.forEach(draw); });
}());
"""
