import { createStytchClient } from "@stytch/vanilla-js/headless";
import { insforgeFor } from "./insforge";

export const stytch = createStytchClient(process.env.NEXT_PUBLIC_STYTCH_PUBLIC_TOKEN!);

export const insforge = insforgeFor(async () => {
  const tokens = stytch.session.getTokens();
  if (!tokens && stytch.session.getSync()) throw new Error("the cookies are HttpOnly: use the code for the server");
  return tokens?.session_jwt;
});
