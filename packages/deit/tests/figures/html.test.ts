import { expect, test } from "vitest";
import { html, Html } from "../../src/figures/html.ts";

test("what is put in is escaped, HTML is not, lists are joined, nothing is left out", () => {
  const name = `<img src=x onerror="alert('1')"> & co`;
  expect(html`<b title="${name}">${name}</b>`.text).toBe(
    '<b title="&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; co">&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; co</b>',
  );
  expect(html`<p>${["a<b", html`<i>${1}</i>`, null, undefined, false, 0]}</p>`.text).toBe(
    "<p>a&lt;b<i>1</i>0</p>",
  );
  expect(html`${new Html("<svg></svg>")}`.text).toBe("<svg></svg>");
});
