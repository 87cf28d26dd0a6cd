// The default tokens of npm's @x402/evm and x402, as a JSON list of {network, address, symbol, name, version, decimals,
// transfer_method}. x402 1.2 knows neither version nor decimals.
import { DEFAULT_ASSETS } from "@x402/evm";
import { evm } from "x402/types";

const rows = Object.entries(DEFAULT_ASSETS).flatMap(([network, assets]) =>
  assets.map(({ asset, symbol, name, version, decimals, assetTransferMethod }) => ({
    network, address: asset.toLowerCase(), symbol, name, version, decimals, transfer_method: assetTransferMethod ?? "eip3009",
  })));
const first = Object.entries(evm.config)
  .filter(([, { usdcAddress }]) => usdcAddress.startsWith("0x"))
  .map(([chain, { usdcAddress, usdcName }]) => ({ network: `eip155:${chain}`, address: usdcAddress.toLowerCase(), name: usdcName }));
console.log(JSON.stringify([...rows, ...first]));
