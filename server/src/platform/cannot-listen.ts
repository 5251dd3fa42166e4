// Why a port could not be listened on, for whoever has just started us.

/** The error itself, when nothing more is known of it. */
export const cannotListen = (error: unknown, { host, port }: { readonly host: string; readonly port: number }): unknown => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const why =
    code === 'EADDRINUSE'
      ? 'another program listens there; stop it, or choose another port with PORT'
      : code === 'EACCES'
        ? 'this account may not use that port; choose one from 1024 on with PORT'
        : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
          ? 'this machine has no such address; choose another with HOST'
          : undefined
  return why === undefined ? error : new Error(`Holdfast cannot listen on ${host}:${port}: ${why}.`, { cause: error })
}
