import { experimental, ServerCredentials, type ServerUnaryCall } from "@grpc/grpc-js";
import { spiffeId } from "./peer-names.ts";
import type { TlsFiles, TlsMaterial } from "./tls-files.ts";

type IdentityListener = (update: { certificate: Buffer; privateKey: Buffer } | null) => void;
type CaListener = (update: { caCertificate: Buffer } | null) => void;

/** Credentials that follow the files: handshakes to come use the latest certificate. Without files: cleartext. */
export function grpcCredentials(files: TlsFiles | undefined): ServerCredentials {
  if (files === undefined) return ServerCredentials.createInsecure();
  const provider = certificateProvider(files);
  const hasClients = files.current.ca !== undefined;
  // The library's types name the first two parameters the wrong way round; the first is the server's own certificate.
  return experimental.createCertificateProviderServerCredentials(provider, hasClients ? provider : null, hasClients);
}

function certificateProvider(files: TlsFiles): experimental.CertificateProvider {
  const ends = new Map<unknown, () => void>();
  const follow = (key: unknown, listener: (material: TlsMaterial) => void): void => {
    ends.set(key, files.onChange(listener));
    // The library hears what is said once it has finished subscribing, not before.
    queueMicrotask(() => listener(files.current));
  };
  const leave = (key: unknown): void => {
    ends.get(key)?.();
    ends.delete(key);
  };
  return {
    addIdentityCertificateListener: (listener: IdentityListener) =>
      follow(listener, ({ cert, key }) => listener({ certificate: cert, privateKey: key })),
    removeIdentityCertificateListener: leave,
    addCaCertificateListener: (listener: CaListener) =>
      follow(listener, ({ ca }) => listener(ca === undefined ? null : { caCertificate: ca })),
    removeCaCertificateListener: leave,
  };
}

/** The SPIFFE ID in the certificate of a caller. */
export function callerId(call: ServerUnaryCall<Buffer, Buffer>): string | undefined {
  return spiffeId(call.getAuthContext().sslPeerCertificate?.subjectaltname ?? "");
}
