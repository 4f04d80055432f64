"""Why a service is not up: ranked causes with evidence, out of facts."""
