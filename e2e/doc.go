// Package e2e holds the end-to-end tests: they build the binary, run it as a
// user does, kill and freeze it, and judge what happened by reading the raw
// topics. Nothing here shares code with the product: the reader knows the three
// headers of docs/DELIVERY.md and no more.
//
// The tests run on the embedded broker, or on the Apache Kafka named by
// TASKLANE_TEST_BROKERS. Those behind the build tag "clients" also need kcat, a
// Python with confluent-kafka and the Java client: see scripts/clients. Those behind
// "secured" need an Apache Kafka with TLS, SASL and an authorizer: see scripts/kafka.
package e2e
