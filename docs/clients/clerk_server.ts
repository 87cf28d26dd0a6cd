import { auth } from "@clerk/nextjs/server";
import { insforgeFor } from "./insforge";

export const getToken = async () => (await auth()).getToken();
export const insforge = () => insforgeFor(getToken);
