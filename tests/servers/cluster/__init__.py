"""A stand-in for a Kubeflow cluster: what a compiled pipeline meets there, and nothing more.

    with KubeflowCluster(folder, endpoint, ProcessPod) as cluster, RunningKubeflowPipelines(cluster) as server:
        ...                                # a run that is created on the server truly runs

It follows the sources of Kubeflow Pipelines 2.15 to 2.17 and what a real server of 2.17.0 was seen to do: `workflow` is
Argo with the graph that KFP compiles for it, `driver` and `launcher` are KFP's two halves of a task, `pods` are the
containers, in Docker or as processes. Tasks share nothing but the object store.
"""
