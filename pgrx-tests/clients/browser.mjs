// Headless Chromium with a window for each person. Reads and answers lines of JSON.
// usage: node browser.mjs CHROMIUM
//   {who, open: url}                  opens a page: {}
//   {who, fill: {selector: value}}    fills fields: {}
//   {who, click: selector}            clicks: {}
//   {who, until: [selector, count]}   waits until the page shows so many elements: their texts
//   {who, fetch: path}                asks as the page does: {status, body}
//   {who, screenshot: path}           writes what is in the window as PNG: {}
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: process.argv[2], args: ["--disable-gpu"] });
const windows = new Map();

async function windowOf(who) {
  if (!windows.has(who)) {
    const context = await browser.newContext({ viewport: { width: 760, height: 400 }, timezoneId: "UTC", locale: "en-GB" });
    windows.set(who, await context.newPage());
  }
  return windows.get(who);
}

async function answer({ who, open, fill, click, until, fetch: path, screenshot }) {
  const page = await windowOf(who);
  if (open) await page.goto(open);
  for (const [selector, value] of Object.entries(fill ?? {})) await page.fill(selector, value);
  if (click) await page.click(click);
  if (screenshot) await page.screenshot({ path: screenshot });
  if (path) return page.evaluate(async (path) => {
    const answer = await fetch(path);
    return { status: answer.status, body: await answer.text() };
  }, path);
  if (!until) return {};
  const [selector, count] = until;
  const shown = page.locator(`${selector}:visible`);
  const seconds = 60;
  for (let tries = 0; (await shown.count()) !== count; tries++) {
    if (tries === seconds * 20) throw new Error(`${who} sees ${await shown.count()} of ${selector}, not ${count}`);
    await page.waitForTimeout(50);
  }
  return shown.allInnerTexts();
}

console.log("{}");
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }))));
}
await browser.close();
process.exit();
