"use client";
import { useMemo } from "react";
import { useKindeAuth } from "@kinde-oss/kinde-auth-react";
import { insforgeFor } from "./insforge";

export function useInsforge() {
  const { isAuthenticated, getAccessToken } = useKindeAuth();
  return useMemo(
    () => insforgeFor(async () => (isAuthenticated ? getAccessToken() : null)),
    [isAuthenticated, getAccessToken],
  );
}
