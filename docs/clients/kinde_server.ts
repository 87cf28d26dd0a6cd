import { getKindeServerSession } from "@kinde-oss/kinde-auth-nextjs/server";
import { insforgeFor } from "./insforge";

export const getToken = async () => getKindeServerSession().getAccessTokenRaw();
export const insforge = () => insforgeFor(getToken);
