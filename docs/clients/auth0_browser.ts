"use client";
import { useMemo } from "react";
import { useAuth0 } from "@auth0/auth0-react";
import { insforgeFor } from "./insforge";

const authorizationParams = { audience: "https://api.example.com" };

export function useInsforge() {
  const { isAuthenticated, getAccessTokenSilently } = useAuth0();
  return useMemo(
    () => insforgeFor(async () => (isAuthenticated ? getAccessTokenSilently({ authorizationParams }) : null)),
    [isAuthenticated, getAccessTokenSilently],
  );
}
