# A buyer with PyPI's x402. usage: python paid_endpoint.py PRIVATE_KEY URL HEADERS
# Prints {status, header: [name, value], headers, body}.
import json
import sys

import requests
from eth_account import Account
from x402 import x402ClientSync
from x402.http.clients import x402_http_adapter
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact.register import register_exact_evm_client

key, url, headers = sys.argv[1:]
client = x402ClientSync()
register_exact_evm_client(client, EthAccountSigner(Account.from_key(key)))
if hasattr(client, "set_spend_controls"):
    client.set_spend_controls(False)
session = requests.Session()
session.mount("http://", x402_http_adapter(client))
answer = session.get(url, headers=json.loads(headers))
sent = [[name, value] for name, value in answer.request.headers.items() if name.lower() in ("payment-signature", "x-payment")]
print(json.dumps({"status": answer.status_code, "header": sent[0] if sent else None,
                  "headers": dict(answer.headers), "body": answer.text}))
