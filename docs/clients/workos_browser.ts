"use client";
import { useMemo } from "react";
import { useAccessToken } from "@workos-inc/authkit-nextjs/components";
import { insforgeFor } from "./insforge";

export function useInsforge() {
  const { getAccessToken } = useAccessToken();
  return useMemo(() => insforgeFor(getAccessToken), [getAccessToken]);
}
