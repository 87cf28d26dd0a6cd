import { getSessionCookie } from "better-auth/cookies";
import { exchangedClient } from "./exchange";

export const insforge = (headers: Headers) => exchangedClient("better_auth", async () => getSessionCookie(headers));
