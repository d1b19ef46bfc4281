//! Reads topics of Kafka.
