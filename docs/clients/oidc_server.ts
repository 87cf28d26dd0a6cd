import { insforgeFor } from "./insforge";

export const getToken = async (headers: Headers) => headers.get("authorization")?.replace(/^Bearer /i, "");
export const insforge = (headers: Headers) => insforgeFor(() => getToken(headers));
