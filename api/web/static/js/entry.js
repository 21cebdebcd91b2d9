// "Verify here": the browser takes the bytes of an entry and computes their hash itself.

import { $ } from "./dom.js";
import { say } from "./text.js";

$("verify").addEventListener("click", async (event) => {
  const response = await fetch(event.target.dataset.bytes, { credentials: "same-origin" });
  const bytes = await response.arrayBuffer();
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const same = response.ok && hex === $("hash").textContent.trim();
  $("verdict").className = `block notice ${same ? "good" : "wrong"}`;
  $("verdict").textContent = same
    ? `✓ ${say("verified", { bytes: bytes.byteLength.toLocaleString("en") })}`
    : `✕ ${say("not_verified", { hash: hex })}`;
});
