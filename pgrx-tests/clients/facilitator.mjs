// A facilitator's HTTP server for tests, with its own chain: a set of used nonces and the landed transfers. `behaviour`
// and `shape` decide how POST /settle behaves and in which form it answers. `last` is the last request.
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
      data: [{ ...rest, chainIndex: state.last.body.chainIndex, txHash: transaction, errorReason: rest.errorReason ?? null }],
    }),
    okx_v2: (answer) => ({ code: 0, msg: "", data: { errorReason: null, errorMessage: null, ...answer, status: answer.status ?? (answer.success ? "success" : "") } }),
  };

  function settle({ paymentPayload, paymentRequirements }) {
    const { from, nonce } = paymentPayload.payload.authorization;
    const answer = { success: true, payer: from, network: paymentRequirements.network ?? "eip155:196" };
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
      // One transaction for this payment and the last one (x402 #1805, Circle Gateway).
      case "batch": {
        const [last] = [...chain.values()].slice(-1);
        chain.set(nonce, last);
        return { ...answer, transaction: last };
      }
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
      case "another_amount":
        return { ...answer, amount: "10001", transaction: land() };
      case "cut_after_settling":
        land();
        return null;
      case "cut_before_settling":
        return null;
      case "bad_gateway":
        return "<html>502 Bad Gateway</html>";
      case "cut_json":
        return '{"success": tr';
      case "server_error":
        return { error: "Internal server error" };
    }
  }

  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const { url, headers } = request;
    state.last = { url, headers, text: body, body: JSON.parse(body) };
    const answer = settle(state.last.body);
    if (!answer) return request.socket.destroy();
    if (typeof answer === "string") return response.writeHead(502).end(answer);
    if (answer.error) return response.writeHead(500).end(JSON.stringify(answer));
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
