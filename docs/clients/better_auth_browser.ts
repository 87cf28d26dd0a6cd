import { createAuthClient } from "better-auth/client";
import { jwtClient } from "better-auth/client/plugins";
import { insforgeFor } from "./insforge";

export const authClient = createAuthClient({ plugins: [jwtClient()] });

export const insforge = insforgeFor(async () => {
  const { data, error } = await authClient.token();
  if (error && error.status !== 401) throw new Error(error.message);
  return data?.token;
});
