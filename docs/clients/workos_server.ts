import { withAuth } from "@workos-inc/authkit-nextjs";
import { insforgeFor } from "./insforge";

export const getToken = async () => (await withAuth()).accessToken;
export const insforge = () => insforgeFor(getToken);
