"""What is read out of the telemetry logger's database afterwards: discharges of the battery, features to train on."""
