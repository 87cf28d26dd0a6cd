import { UserManager } from "oidc-client-ts";
import { insforgeFor } from "./insforge";

export const users = new UserManager({
  authority: "https://id.example.com/realms/notes",
  client_id: "notes-web",
  redirect_uri: "http://localhost:3000/callback",
});

export const insforge = insforgeFor(async () => {
  const user = await users.getUser();
  return user?.expired ? (await users.signinSilent())?.access_token : user?.access_token;
});
