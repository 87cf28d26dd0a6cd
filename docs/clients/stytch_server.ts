import { cookies } from "next/headers";
import { Client } from "stytch";   // B2B: B2BClient
import { insforgeFor } from "./insforge";

const stytch = new Client({ project_id: process.env.STYTCH_PROJECT_ID!, secret: process.env.STYTCH_SECRET! });

export async function getToken() {
  const session_jwt = (await cookies()).get("stytch_session_jwt")?.value;
  return session_jwt && (await stytch.sessions.authenticateJwt({ session_jwt })).session_jwt;
}
export const insforge = () => insforgeFor(getToken);
