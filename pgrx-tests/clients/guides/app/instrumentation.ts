// The providers' clouds are played by the test's server.
export function register() {
  const { fetch } = globalThis;
  globalThis.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const isCloud = ["test.stytch.com", "example.kinde.com"].includes(url.hostname);
    return isCloud ? fetch(`${process.env.CLOUD}${url.pathname}${url.search}`, init ?? (input as Request)) : fetch(input, init);
  };
}
