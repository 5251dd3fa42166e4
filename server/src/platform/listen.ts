// Listening on a port, and why one could not be listened on, for whoever has just started us.
import type { AddressInfo, Server } from 'node:net'

export type Where = {
  readonly host: string
  readonly port: number
  /** What they are set by, when it is not HOST and PORT. */
  readonly hostSetting?: string
  readonly portSetting?: string
}

/** @returns the URL of where it listens; with port 0, on a port that was free */
export const listen = async (server: Server, where: Where): Promise<string> => {
  server.listen({ host: where.host, port: where.port })
  await new Promise<void>((resolve, reject) => void server.once('listening', resolve).once('error', reject)).catch((error: unknown) => {
    throw cannotListen(error, where)
  })
  const { address, port, family } = server.address() as AddressInfo // it listens on a port, not on a path
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

/** The error itself, when nothing more is known of it. */
export const cannotListen = (error: unknown, { host, port, hostSetting = 'HOST', portSetting = 'PORT' }: Where): unknown => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const why =
    code === 'EADDRINUSE'
      ? `another program listens there; stop it, or choose another port with ${portSetting}`
      : code === 'EACCES'
        ? `this account may not use that port; choose one from 1024 on with ${portSetting}`
        : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
          ? `this machine has no such address; choose another with ${hostSetting}`
          : undefined
  return why === undefined ? error : new Error(`Holdfast cannot listen on ${host}:${port}: ${why}.`, { cause: error })
}
