"use client";
import { useMemo } from "react";
import { useAuth } from "@clerk/nextjs";   // without Next.js: "@clerk/react"
import { insforgeFor } from "./insforge";

export function useInsforge() {
  const { getToken } = useAuth();
  return useMemo(() => insforgeFor(() => getToken()), [getToken]);
}
