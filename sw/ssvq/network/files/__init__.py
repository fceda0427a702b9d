"""What commands read and write: models, samples, rules, compiled networks, results."""
