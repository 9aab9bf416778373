"""Data of an Apache NiFi flow: files that it lands with a manifest, and FlowFiles that it offers at an output port.

source.py reads both. landing.py is of manifests; site_to_site.py speaks NiFi's protocol, packets.py is its format of
FlowFiles, and pulling.py is what makes sure that none is lost or read twice.
"""
