"""bothub's engine: vocabulary, ports, bus, turns and deliveries."""
