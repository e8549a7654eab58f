// Predicts in parts, and makes the tables of all.
//
//   nextflow run main.nf --run RUN --input SCANS --output OUT --parts 40
//
// Paths are absolute: each task works in a folder of its own.
params.parts = 40

process PREDICT {
    cpus 4
    memory '16 GB'
    maxRetries 3
    // 2: a volume cannot be predicted, another try would change nothing; else it was killed
    errorStrategy { task.exitStatus == 2 ? 'ignore' : 'retry' }

    input:
    val number

    output:
    val number

    script:
    """
    export OMP_NUM_THREADS=${task.cpus}
    pin-lightning infer run='${params.run}' input='${params.input}' output='${params.output}' \\
      part=${number}/${params.parts}
    """
}

process MERGE {
    input:
    val numbers

    output:
    stdout

    script:
    """
    pin-lightning merge output='${params.output}' 2>&1
    """
}

workflow {
    PREDICT(channel.of(1..(params.parts as int)))
    MERGE(PREDICT.out.collect().ifEmpty([])) | view
}
