"""Trust: digests, keys, signatures, hash trees and time stamps; knows neither Django nor the kernel."""
