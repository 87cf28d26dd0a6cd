// A facilitator's HTTP server for tests, with its own chain: a set of used nonces and the landed transfers. `behaviour`
// and `shape` decide how POST /settle behaves and in which form it answers.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";

export async function facilitator() {
  const chain = new Map(); // nonce -> hash
  const state = { behaviour: "success", shape: "x402", landed: () => chain.size, land: () => {} };

  const shapes = {
    x402: (answer) => answer,
    okx_v1: ({ transaction, network, ...rest }) => ({
      code: "0",
      msg: "",
      data: [{ ...rest, chainIndex: "196", txHash: transaction, errorReason: rest.errorReason ?? null }],
    }),
    okx_v2: (answer) => ({ code: 0, msg: "", data: { errorReason: null, errorMessage: null, ...answer, status: answer.status ?? (answer.success ? "success" : "") } }),
  };

  function settle({ from, nonce }) {
    const answer = { success: true, payer: from, network: "eip155:196" };
    const failed = (errorReason) => ({ ...answer, success: false, errorReason, transaction: "" });
    const used = chain.get(nonce);
    const land = () => {
      const hash = `0x${randomBytes(32).toString("hex")}`;
      chain.set(nonce, hash);
      return hash;
    };
    switch (state.behaviour) {
      case "success":
        return used ? failed("invalid_exact_evm_nonce_already_used") : { ...answer, transaction: land() };
      case "pending":
        return { ...answer, status: "pending", transaction: used ?? land() };
      case "timeout_then_landed": {
        const hash = `0x${randomBytes(32).toString("hex")}`;
        state.land = () => chain.set(nonce, hash);
        return { ...answer, status: "timeout", transaction: hash };
      }
      case "failure":
        return failed("insufficient_funds");
      case "used_nonce":
        land();
        return failed("invalid_exact_evm_nonce_already_used");
      case "duplicate_success":
        return { ...answer, transaction: used ?? land() };
      case "another_payment":
        return { ...answer, payer: "0x00000000000000000000000000000000000000aa", transaction: `0x${randomBytes(32).toString("hex")}` };
      case "cut_after_settling":
        land();
        return null;
    }
  }

  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const answer = settle(JSON.parse(body).paymentPayload.payload.authorization);
    if (!answer) return request.socket.destroy();
    // Plain x402 has no status. A transfer that has not landed is a failure with a special reason.
    const plain = state.shape === "x402" && answer.status && answer.status !== "success";
    const said = plain ? { ...answer, status: undefined, success: false, errorReason: "settlement_pending" } : answer;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(shapes[state.shape](said)));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  state.url = `http://127.0.0.1:${server.address().port}/settle`;
  state.transaction = (nonce) => chain.get(nonce);
  return state;
}
