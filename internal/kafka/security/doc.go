// Package security is how a client and the brokers of a Kafka cluster prove to each other
// who they are: TLS, with or without a certificate of the client's own, and SASL with a
// password or a token. Files are read again for every connection. Whatever keeps the two
// apart is explained, with the flag to change; no error and no log line holds a secret.
package security
