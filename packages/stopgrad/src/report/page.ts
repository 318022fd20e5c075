// What every report page carries besides its content: the style sheet and the script that makes charts interactive.
// The page reads the same without the script. Charts keep their white ground in the dark: their colours are chosen
// against white.

export const styleSheet = `
:root { color-scheme: light dark; --ground: #fbfbfa; --text: #1c1c1e; --soft: #5c5f66; --line: #dcdcda; --card: #ffffff;
  --accent: #0072b2; --stripe: #f4f4f2; }
@media (prefers-color-scheme: dark) { :root { --ground: #17181b; --text: #e8e8e6; --soft: #a3a6ad; --line: #3a3c42;
  --card: #1f2125; --accent: #6db8e8; --stripe: #24262b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 Helvetica, Arial, sans-serif; }
main { max-width: 1260px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.quantities { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; max-width: 62rem; font-size: .87rem; }
.quantities dt { font-weight: bold; } .quantities dd { margin: 0; color: var(--soft); }
p, ul { max-width: 50rem; }
.setting { color: var(--soft); margin: 0 0 1rem; }
.finding { font-size: 1.2rem; line-height: 1.4; margin: .5rem 0; max-width: 56rem; }
.findings { margin: .5rem 0 0; padding-left: 1.2rem; }
.preface { margin: 0 0 1.5rem; padding: 0 0 1rem; border-bottom: 1px solid var(--line); }
.preface li li { color: var(--soft); }
.preface > ul { max-width: 62rem; }
nav { margin: 1.25rem 0 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
a { color: var(--accent); }
.table { overflow-x: auto; margin: 1rem 0 .25rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; background: var(--card); }
caption { text-align: left; font-weight: bold; padding: 0 0 .4rem; white-space: nowrap; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--line); font-size: .87rem; }
tbody th { font-weight: normal; }
tbody tr:nth-child(even) { background: var(--stripe); }
th.number, td.number { text-align: right; white-space: nowrap; }
thead th.number { white-space: normal; }
td.short, th.short { white-space: nowrap; }
.unit { display: block; color: var(--soft); font-weight: normal; font-size: .8rem; }
code { font: .85em/1.4 "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: .87rem; margin: .3rem 0; max-width: 62rem; }
.downloads { font-size: .82rem; color: var(--soft); margin: .2rem 0 1.5rem; }
.downloads a { margin-right: .9rem; }
figure { margin: 1rem 0 1.5rem; }
figcaption { margin: 0 0 .5rem; max-width: 62rem; }
figcaption strong { display: block; }
.chart { overflow-x: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .25rem; }
.chart svg { display: block; max-width: 100%; height: auto; }
.commands { list-style: none; padding: 0; max-width: none; }
.remark { border-left: 3px solid #d55e00; padding-left: .7rem; }
.tooltip { position: fixed; z-index: 9; pointer-events: none; background: #1c1c1e; color: #fff; font-size: 12px;
  line-height: 1.4; padding: .35rem .55rem; border-radius: 4px; max-width: 22rem; }
.tooltip dl { margin: 0; display: grid; grid-template-columns: auto auto; gap: 0 .7rem; }
.tooltip dt { color: #b9bcc4; } .tooltip dd { margin: 0; text-align: right; }
@media (max-width: 700px) { .quantities { grid-template-columns: 1fr; } .quantities dd { margin-bottom: .3rem; } .chart svg { max-width: none; } }
@media print { :root { --ground: #fff; --text: #000; --soft: #444; --line: #ccc; --card: #fff; --stripe: #f6f6f6;
  --accent: #000; } body { font-size: 11px; } main { max-width: none; padding: 0; } nav, .downloads { display: none; }
  figure, tr { break-inside: avoid; } h2, caption { break-after: avoid; } .table, .chart { overflow: visible; } }
`;

/**
 * Runs in the page, after the chart library. Each static drawing is replaced by a live one when it comes into view; if
 * anything fails, the static one stays. Downloads of a chart are made here, from what the page already holds.
 */
export const pageScript = `
(() => {
  "use strict";
  const save = (link, text, type) => {
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.parentElement.hidden = false;
  };
  const tooltip = document.createElement("div");
  tooltip.className = "tooltip";
  tooltip.hidden = true;
  document.body.append(tooltip);
  const showTooltip = (handler, event, item, value) => {
    tooltip.hidden = value === null || value === undefined || value === "";
    if (tooltip.hidden) return;
    const list = document.createElement("dl");
    for (const [name, text] of Object.entries(typeof value === "object" ? value : { "": value })) {
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = name;
      detail.textContent = String(text);
      list.append(term, detail);
    }
    tooltip.replaceChildren(list);
    const left = Math.min(event.clientX + 14, window.innerWidth - tooltip.offsetWidth - 8);
    const top = event.clientY + 14 + tooltip.offsetHeight > window.innerHeight
      ? event.clientY - 10 - tooltip.offsetHeight : event.clientY + 14;
    tooltip.style.left = Math.max(4, left) + "px";
    tooltip.style.top = Math.max(4, top) + "px";
  };
  const bringToLife = async (place, spec) => {
    const fresh = document.createElement("div");
    const compiled = vegaLite.compile(spec).spec;
    const view = new vega.View(vega.parse(compiled), { renderer: "svg", container: fresh, hover: true });
    view.tooltip(showTooltip).logLevel(vega.Error);
    await view.runAsync();
    place.replaceChildren(fresh);
  };
  const waiting = new Map();
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      bringToLife(target, waiting.get(target)).catch((error) => console.warn("The chart stays static:", error));
    }
  }, { rootMargin: "300px" });
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const place = figure.querySelector(".chart");
    const text = figure.querySelector("script").textContent;
    const drawing = new XMLSerializer().serializeToString(place.querySelector("svg"));
    save(figure.querySelector("a.svg"), drawing, "image/svg+xml");
    save(figure.querySelector("a.spec"), text, "application/json");
    if (typeof vega === "undefined" || typeof vegaLite === "undefined") continue;
    waiting.set(place, JSON.parse(text));
    watcher.observe(place);
  }
})();
`;
