"""Hearth: a serverless platform that speaks the Knative Serving API and starts from warm pods."""
