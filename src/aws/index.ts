export {
  type AwsKeys,
  type SignatureVersion,
  type SignedHeaders,
  type SigningOrder,
  signV4,
  signV4a,
  UNSIGNED_PAYLOAD,
} from "./signature.ts";
