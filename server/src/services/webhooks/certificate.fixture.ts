// A certificate for shop.example that signs itself, and its key: for tests, and trusted by nobody else.
// Made by: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=shop.example -addext subjectAltName=DNS:shop.example

export const certificate = `-----BEGIN CERTIFICATE-----
MIIBnTCCAUSgAwIBAgIUBekanlwUdCu2FlBs/yXoifDm3/0wCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMc2hvcC5leGFtcGxlMCAXDTI2MTEyNTIwMTcwNVoYDzIxMjYx
MTAxMjAxNzA1WjAXMRUwEwYDVQQDDAxzaG9wLmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARfQWpHUZOqLLpkaTUXvT6796Vmf+QZeuVIWwYjD7trwihm
oOEW6DtlOyfMIscoO7eqh91WSVHLWRy8g+hQ/EYLo2wwajAdBgNVHQ4EFgQUd8iA
82t8jWUXqNk2ffxTRPga1JkwHwYDVR0jBBgwFoAUd8iA82t8jWUXqNk2ffxTRPga
1JkwDwYDVR0TAQH/BAUwAwEB/zAXBgNVHREEEDAOggxzaG9wLmV4YW1wbGUwCgYI
KoZIzj0EAwIDRwAwRAIgfnV0yKEYtqHVM3BipdH4t4eR6v752a9Un8vE9uAx0kQC
IDi3TlfHfucJU2os37oVEw3IAbBQ5mab4gm3v1xnG4n3
-----END CERTIFICATE-----
`
export const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRQinkxcT3RgZZm3H
3kVrfx9mgq1zEqQmAxQl38NuTSyhRANCAARfQWpHUZOqLLpkaTUXvT6796Vmf+QZ
euVIWwYjD7trwihmoOEW6DtlOyfMIscoO7eqh91WSVHLWRy8g+hQ/EYL
-----END PRIVATE KEY-----
`
