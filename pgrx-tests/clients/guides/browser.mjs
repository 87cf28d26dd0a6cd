// The guides' code for the page, with the providers' real packages in a DOM without a browser (happy-dom). The providers'
// clouds are played by this program.
// usage: node guides/browser.mjs PGHOST_SOCKET_DIR DATABASE SECRET PROVIDER ADA BEN   (tokens of the provider's users)
// Prints what was seen.
import { Window } from "happy-dom";
import { anonKey, startApi } from "../insforge_api.mjs";
import { compiledCode } from "./code.mjs";

const [host, database, secret, provider, ada, ben] = process.argv.slice(2);
const api = await startApi({ host, database, secret });
const site = "http://localhost:3000";
const window = new Window({ url: `${site}/` });
const names = ["window", "document", "localStorage", "sessionStorage", "location", "history", "HTMLElement", "Node", "Event",
  "MutationObserver", "CustomEvent", "MessageEvent"];
for (const name of names) Object.defineProperty(globalThis, name, { value: name === "window" ? window : window[name], configurable: true, writable: true });
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
Object.defineProperty(window, "crypto", { value: globalThis.crypto, configurable: true });
globalThis.IS_REACT_ACT_ENVIRONMENT = false;
Object.assign(process.env, {
  NEXT_PUBLIC_INSFORGE_URL: api.url,
  NEXT_PUBLIC_INSFORGE_ANON_KEY: anonKey,
  NEXT_PUBLIC_STYTCH_PUBLIC_TOKEN: "public-token-test-11111111-1111-4111-8111-111111111111",
});

/** What the provider's cloud answers, by the request. */
let cloud = () => ({});
const { fetch } = globalThis;
globalThis.fetch = window.fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : String(input), site);
  if (url.origin === api.url) return fetch(input, init);
  const answer = await cloud(url, init);
  return new Response(JSON.stringify(answer), { status: answer.status ?? 200, headers: { "content-type": "application/json" } });
};
const code = compiledCode();
const notes = async (client) => {
  const { data, error } = await client.database.from("notes").select("body");
  return error ? error.message : data.map(({ body }) => body);
};
const seen = {};
const jwt = (claims) => ["", claims, "x"].map((part, index) =>
  index === 2 ? part : Buffer.from(JSON.stringify(index ? part : { alg: "RS256", typ: "JWT", kid: "1" })).toString("base64url")).join(".");

/** Renders a component that calls a hook of the provider and `useInsforge`; answers with their newest values. */
async function rendered(Provider, properties, useProvider) {
  const { createElement } = await import("react");
  const { createRoot } = await import("react-dom/client");
  const { useInsforge } = await import(`${code}/${provider}_browser.mjs`);
  const newest = {};
  const Page = () => {
    Object.assign(newest, { of: useProvider(), insforge: useInsforge() });
    return null;
  };
  const root = createRoot(document.body.appendChild(document.createElement("div")));
  root.render(createElement(Provider, properties, createElement(Page)));
  return {
    newest,
    end: () => root.unmount(),
    async until(isTrue) {
      for (let tries = 0; !newest.of || !isTrue(newest.of); tries += 1) {
        if (tries > 6000) throw new Error(`not in time: ${isTrue}, error ${newest.of?.error}`);
        await new Promise((later) => setTimeout(later, 10));
      }
    },
  };
}

const tests = {
  async auth0() {
    const { Auth0Provider, useAuth0 } = await import("@auth0/auth0-react");
    const properties = {
      domain: "example.eu.auth0.com", clientId: "client", cacheLocation: "localstorage",
      authorizationParams: { redirect_uri: site, audience: "https://api.example.com" },
    };
    for (const [name, token] of Object.entries({ ada, ben })) {
      let page = await rendered(Auth0Provider, properties, useAuth0);
      await page.until(({ isLoading }) => !isLoading);
      seen[`${name}_before`] = await notes(page.newest.insforge);
      let address;
      await page.newest.of.loginWithRedirect({ openUrl: (url) => { address = new URL(url); } });
      page.end();
      const now = Math.floor(Date.now() / 1000);
      cloud = (url) => url.pathname !== "/oauth/token" ? { status: 404 } : {
        access_token: token, expires_in: 600, token_type: "Bearer", scope: "openid profile email",
        id_token: jwt({ iss: "https://example.eu.auth0.com/", aud: "client", sub: `auth0|${name}`, nonce: address.searchParams.get("nonce"), iat: now, exp: now + 600 }),
      };
      window.happyDOM.setURL(`${site}/?${new URLSearchParams({ code: name, state: address.searchParams.get("state") })}`);
      page = await rendered(Auth0Provider, properties, useAuth0);
      await page.until(({ isAuthenticated }) => isAuthenticated);
      seen[name] = await notes(page.newest.insforge);
      await page.newest.of.logout({ openUrl: false });
      await page.until(({ isAuthenticated }) => !isAuthenticated);
      seen[`${name}_after`] = await notes(page.newest.insforge);
      page.end();
      window.happyDOM.setURL(`${site}/`);
    }
  },
  async kinde() {
    const { KindeProvider, useKindeAuth } = await import("@kinde-oss/kinde-auth-react");
    const properties = { domain: "https://example.kinde.com", clientId: "0123456789abcdef0123456789abcdef", redirectUri: site };
    let address;
    Object.defineProperty(document, "location", { get: () => window.location, set: (url) => { address = new URL(url); } });
    for (const [name, token] of Object.entries({ ada, ben })) {
      cloud = () => ({ status: 404 });
      let page = await rendered(KindeProvider, properties, useKindeAuth);
      await page.until(({ isLoading }) => !isLoading);
      seen[`${name}_before`] = await notes(page.newest.insforge);
      await page.newest.of.login();
      page.end();
      cloud = (url) => url.pathname !== "/oauth2/token" ? { status: 404 } : {
        access_token: token, refresh_token: "refresh", expires_in: 600,
        id_token: jwt({ iss: "https://example.kinde.com", sub: name, aud: [properties.clientId], exp: Math.floor(Date.now() / 1000) + 600 }),
      };
      window.happyDOM.setURL(`${site}/?${new URLSearchParams({ code: name, state: address.searchParams.get("state") })}`);
      page = await rendered(KindeProvider, properties, useKindeAuth);
      await page.until(({ isAuthenticated }) => isAuthenticated);
      seen[name] = await notes(page.newest.insforge);
      await page.newest.of.logout();
      await page.until(({ isAuthenticated }) => !isAuthenticated);
      seen[`${name}_after`] = await notes(page.newest.insforge);
      page.end();
      window.happyDOM.setURL(`${site}/`);
    }
  },
  async oidc() {
    const { User } = await import("oidc-client-ts");
    const { users, insforge } = await import(`${code}/oidc_browser.mjs`);
    const server = await import(`${code}/oidc_server.mjs`);
    for (const [name, access_token] of Object.entries({ ada, ben })) {
      seen[`${name}_before`] = await notes(insforge);
      await users.storeUser(new User({ access_token, token_type: "Bearer", profile: {}, expires_at: Date.now() / 1000 + 600 }));
      seen[name] = await notes(insforge);
      const seenByServer = await notes(server.insforge(new Headers({ authorization: `Bearer ${access_token}` })));
      if (String(seenByServer) !== String(seen[name])) seen.server = seenByServer;
      await users.removeUser();
      seen[`${name}_after`] = await notes(insforge);
    }
    if ((await notes(server.insforge(new Headers()))).length) seen.server = "rows for nobody";
  },
  async stytch() {
    const { stytch, insforge } = await import(`${code}/stytch_browser.mjs`);
    let current;
    cloud = (url) => ({ data: current && url.pathname.includes("sessions/authenticate") ? current : {}, request_id: "1", status_code: 200 });
    seen.nobody = await notes(insforge);
    for (const [name, session_jwt] of Object.entries({ ada, ben })) {
      const session = { session_id: `session-test-${name}`, user_id: name, expires_at: new Date(Date.now() + 600000).toISOString(), authentication_factors: [] };
      current = { session, session_jwt, session_token: name, user: { user_id: name }, status_code: 200 };
      stytch.session.updateSession({ session_token: name, session_jwt });
      await stytch.session.authenticate({ session_duration_minutes: 60 });
      seen[name] = await notes(insforge);
    }
    await stytch.session.revoke();
    seen.signed_out = await notes(insforge);
    // With HttpOnly cookies the tokens in Stytch's answers are empty.
    Object.assign(current, { session_jwt: "", session_token: "" });
    await stytch.session.authenticate({ session_duration_minutes: 60 });
    seen.http_only = [stytch.session.getSync() !== null, stytch.session.getTokens(), await notes(insforge)];
  },
};
await tests[provider]();
await api.stop();
console.log(JSON.stringify(seen));
process.exit();
