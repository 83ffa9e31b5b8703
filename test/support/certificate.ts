export { snsCertificate } from "../../src/demo/sns-certificate.ts";

/**
 * A self-signed certificate for `hooks.example.com` that servers of tests use, valid for a hundred years. Its key is
 * public by being here, and nothing but tests trusts it.
 */
export const certificate = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkDUztdBo5wzDxKfS
D4qgOP9XNWpuozgsoyWZ/Fb8/4ShRANCAAQUIB1MBGLm5NVMg0ePJ8pm/XPkqHZO
7+ZGt5v8YF4UW+xjNIvxv1G746a8pbvuIyUpRPychmSATw25z+R1E6D5
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBrTCCAVOgAwIBAgIUUMSV5Yz0bfp7oObQEG9PWzaQtB4wCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRaG9va3MuZXhhbXBsZS5jb20wIBcNMjYxMTI1MDIwNzIwWhgP
MjEyNjExMDEwMjA3MjBaMBwxGjAYBgNVBAMMEWhvb2tzLmV4YW1wbGUuY29tMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEFCAdTARi5uTVTINHjyfKZv1z5Kh2Tu/m
Rreb/GBeFFvsYzSL8b9Ru+OmvKW77iMlKUT8nIZkgE8Nuc/kdROg+aNxMG8wHQYD
VR0OBBYEFNZ5o8p2jlL2vQm+ZiNGz8JSR3OzMB8GA1UdIwQYMBaAFNZ5o8p2jlL2
vQm+ZiNGz8JSR3OzMA8GA1UdEwEB/wQFMAMBAf8wHAYDVR0RBBUwE4IRaG9va3Mu
ZXhhbXBsZS5jb20wCgYIKoZIzj0EAwIDSAAwRQIhAOpLDeWUMq0xTnXYVVzxf6aR
k3o5A99LIWuDzDt2VRbgAiArWvEqDxmum9Yu9kyaI11Ry8z046Lfwewizs2fU+PJ
+g==
-----END CERTIFICATE-----`,
};
